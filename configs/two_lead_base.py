"""The two-lead model that ships: leads I and II of different times to twelve, at 100 Hz.

    ttecg train two-lead --config configs/two_lead_base.py --workdir runs/two-lead \
        --set 'sources=["data/ptbxl-500@3", "data/ludb@1"]' 'shape_sources=["data/shape@1"]'
"""

from ttecg.train.two_lead import TwoLeadTraining

config = TwoLeadTraining()
