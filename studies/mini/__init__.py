"""How the bundled model `mini` was made and measured.

    make_data  training material: recorded songs and made-up ones
    make_test  a test set whose players training never had (other_players)
    export     a trained checkpoint, or two of different rates, as a file that can ship
    measure    scores of models, the mixture, silence and the ideal mask: the tables of the card
    more_instruments  drum kits and basses from Debian packages, for the ingredients

The runs themselves stand in docs/training-log.md, with the commit of each program that is gone.
"""
