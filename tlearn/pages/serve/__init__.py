"""The page and the programming interface of ``serve``: a trained network that answers for pictures over HTTP."""
