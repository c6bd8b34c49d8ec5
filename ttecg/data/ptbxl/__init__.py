"""PTB-XL, 21,799 twelve-lead ECGs of 10 s with reports and SCP-ECG codes (Wagner et al. 2020, CC BY 4.0)."""
