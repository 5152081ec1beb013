"""What images hold and what is wrong with them: the data root, any folder, cards."""
