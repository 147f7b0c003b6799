"""From soft masks to organs, blobs and the masks of findings, on the film's own grid."""
