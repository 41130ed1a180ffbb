"""Shards: pictures packed into large files and streamed from disk or object storage."""
