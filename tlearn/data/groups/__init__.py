"""Groups of pictures, such as those of one site or patient, which are never divided between training and validation."""
