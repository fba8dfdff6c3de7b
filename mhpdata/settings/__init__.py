"""Options as small frozen classes that check themselves: choose samples, mix sets, crop, share, hand out."""
