"""Measuring the eye: exams with known truth, real films, controls, and the page of it all."""
