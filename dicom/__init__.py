"""The DICOM standard, in and out."""
