"""What each image format but JPEG says of itself: sizes, colours and notes, read before anything is decoded."""
