"""The verb ``doctor`` with ``--against``: are new pictures like those of a run?"""
