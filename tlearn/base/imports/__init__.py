"""How heavy libraries are imported without what they bring along for nothing."""
