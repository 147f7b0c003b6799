"""The GPU side: the Celery application and the steps of the pipeline."""
