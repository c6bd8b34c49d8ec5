"""LUDB, 200 twelve-lead ECGs of 10 s with hand-made delineation (Kalyakulina et al. 2020, ODC-By 1.0)."""
