"""One lead set and squared error, no ridge regression to start from: the U-net as arXiv 2502.00559 has it.

The paper's sizes are not published; these are four levels of twice the channels. Other lead sets:
`--set 'model.leads=["I", "II", "V2"]'`.
"""

from ttecg.models.unet import UNetConfig
from ttecg.train.unet import UNetTraining

config = UNetTraining(
    model=UNetConfig(leads=("I", "II"), widths=(64, 128, 256, 512), anchor=False, dropout=0.0),
    mse=1.0,
    l1=0.0,
    pearson=0.0,
    augment=False,
)
