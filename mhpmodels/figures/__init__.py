"""Parts of pictures: pages, panels, legends, overlays."""
