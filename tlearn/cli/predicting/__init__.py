"""The options of ``predict`` that no other verb has."""
