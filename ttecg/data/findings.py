"""The findings that ttecg has words for: one canonical English phrase each, with the SCP-ECG codes that mean it.

The simulator draws them, the report lexicon maps German and English wording onto them, and SCP statements
are turned into text through them; so a prompt reads the same whichever of the three it came from.
"""

# phrase -> SCP-ECG statement codes of PTB-XL (empty where PTB-XL has no code of its own)
FINDINGS: dict[str, tuple[str, ...]] = {
    # rhythm
    "sinus rhythm": ("SR",),
    "sinus bradycardia": ("SBRAD",),
    "sinus tachycardia": ("STACH",),
    "sinus arrhythmia": ("SARRH",),
    "atrial fibrillation": ("AFIB",),
    "atrial fibrillation with rapid ventricular response": (),
    "atrial fibrillation with slow ventricular response": (),
    "atrial flutter": ("AFLT",),
    "supraventricular tachycardia": ("SVTAC", "PSVT"),
    "junctional rhythm": (),
    "atrial premature beats": ("PAC",),
    "ventricular premature beats": ("PVC", "PRC(S)"),
    "ventricular bigeminy": ("BIGU",),
    "ventricular trigeminy": ("TRIGU",),
    "ventricular paced rhythm": ("PACE",),
    # conduction
    "first-degree av block": ("1AVB", "LPR"),
    "second-degree av block type wenckebach": ("2AVB",),
    "complete av block": ("3AVB",),
    "left bundle branch block": ("CLBBB",),
    "incomplete left bundle branch block": ("ILBBB",),
    "right bundle branch block": ("CRBBB",),
    "incomplete right bundle branch block": ("IRBBB",),
    "left anterior fascicular block": ("LAFB",),
    "left posterior fascicular block": ("LPFB",),
    "intraventricular conduction delay": ("IVCD",),
    "wolff-parkinson-white pattern": ("WPW",),
    # axis, voltage, hypertrophy
    "normal axis": (),
    "left axis deviation": (),
    "right axis deviation": (),
    "low voltage": ("LVOLT",),
    "high voltage": ("HVOLT", "VCLVH"),
    "left ventricular hypertrophy": ("LVH", "SEHYP"),
    "right ventricular hypertrophy": ("RVH",),
    "left atrial enlargement": ("LAO/LAE",),
    "right atrial enlargement": ("RAO/RAE",),
    # infarction
    "anterior myocardial infarction": ("AMI",),
    "anteroseptal myocardial infarction": ("ASMI",),
    "anterolateral myocardial infarction": ("ALMI",),
    "inferior myocardial infarction": ("IMI",),
    "inferolateral myocardial infarction": ("ILMI", "IPLMI"),
    "lateral myocardial infarction": ("LMI",),
    "posterior myocardial infarction": ("PMI",),
    "acute anterior st elevation": (),
    "acute inferior st elevation": (),
    "acute lateral st elevation": (),
    # repolarisation
    "st elevation": ("STE_",),
    "st depression": ("STD_",),
    "non-specific st changes": ("NST_",),
    "t wave inversion": ("INVT",),
    "t wave changes": ("NT_", "NDT", "TAB_", "LOWT"),
    "anterior subendocardial injury": ("INJAS", "INJAL"),
    "inferior subendocardial injury": ("INJIN", "INJIL"),
    "lateral subendocardial injury": ("INJLA",),
    "ventricular aneurysm": ("ANEUR",),
    "anterior ischaemia": ("ISCAN", "ISCAS", "ISCAL"),
    "inferior ischaemia": ("ISCIN", "ISCIL"),
    "lateral ischaemia": ("ISCLA",),
    "ischaemic st-t changes": ("ISC_",),
    "digitalis effect": ("DIG",),
    "long qt interval": ("LNGQT",),
    "electrolyte disturbance": ("EL",),
    "pathological q waves": ("QWAVE",),
    "abnormal qrs": ("ABQRS",),
    # whole record
    "normal ecg": ("NORM",),
}

PHRASE_OF_SCP: dict[str, str] = {code: phrase for phrase, codes in FINDINGS.items() for code in codes} | {
    "SVARR": "supraventricular arrhythmia",  # irregular, not a tachycardia
    "IPMI": "inferior myocardial infarction. posterior myocardial infarction",
}
