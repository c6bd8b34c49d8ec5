"""Your own recordings: any folder of WFDB records, with a CSV table of reports and folds where there is one.

Columns of the table are known by their names, in any order; all but the first are optional:

    record       record, filename, file, path, study_id, ecg_id, id: the record's path in the folder, with or
                 without ending, or its bare name where that names one record only
    report       report, text; or report_0, report_1 ... which are joined (as in MIMIC-IV-ECG)
    age, sex     years; male or female (sex, gender)
    labels       labels, label, dx, scp_codes: separated by ; or , or | (or {'NORM': 100.0, ...} as in PTB-XL)
    patient_id   patient_id, patient, subject_id
    fold         fold, strat_fold: 1-10, of which 1-8 train, 9 is validation, 10 test
    split        train, validation or test (instead of fold)

The folder's own records.csv is the table where none is named. An empty cell, or no table, leaves age, sex, report
and labels to the header of the record. Without fold and split a stable hash of the patient (or of the record's name)
puts 8 in 10 into train, 1 into validation and 1 into test. With a table, only the records that it names are prepared.
"""
