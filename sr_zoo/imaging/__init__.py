"""Image files and pixels; knows no network."""
