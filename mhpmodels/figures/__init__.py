"""Draw elements of figures: pages, panels, legends, overlays."""
