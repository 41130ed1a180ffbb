"""The list of labels of a folder of pictures: what people decided on them, and how it is applied."""
