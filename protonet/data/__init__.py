"""Data sets: reading and writing them, transforming their images, fetching ahead of the solver.

    idx, datum        what a file or a record holds
    databases         records of an LMDB or LevelDB, in key order, by position
    hdf5_source       rows of HDF5 files, by position
    pictures          decoded images of a batch, wherever they lie in memory
    transformer       crop, mirror, mean and scale of a batch, in one pass
    chance            random numbers that depend on a record's position alone
    prefetch          worker threads that make batches ahead of their use
    lmdb_writer       databases, whole or not at all
    convert…          databases of data sets of other kinds
    scan              all records of a database once: survey, mean_image

Positions count records from the start of training: position p is record p mod count of epoch
p div count. What a batch holds depends on its position and on one number, the key, only; so it
is the same whoever makes it and whenever.
"""
