"""Average the weights of several networks of one architecture (model soups)."""
