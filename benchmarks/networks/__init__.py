"""Which network: real pretrained networks on real sets, and the rules that would choose one of them."""
