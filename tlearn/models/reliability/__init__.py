"""How far answers can be believed: answer sets, abstention, strangers, and the evidence that they rest on."""
