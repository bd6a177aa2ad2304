"""Arrays, stores and images to checked pools."""
