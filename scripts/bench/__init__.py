"""``make bench``: latency by stage, memory, and ingest beside Orthanc and storescp."""
