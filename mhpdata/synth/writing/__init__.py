"""Write synthetic images and masks to a folder in a release's form."""
