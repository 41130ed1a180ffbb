"""Local web pages: review the labels, label the next pictures, serve the network. Needs the extra ``web``."""
