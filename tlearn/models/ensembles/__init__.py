"""Several networks that answer together: their answers averaged, and one network made of them."""
