"""Does cleaning help? One model on given, thinned, corrected and weighted labels, compared on reviewed items."""
