"""One file a source of predictors, all behind one Protocol."""
