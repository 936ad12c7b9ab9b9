"""The report of LVIS's 1,203 classes."""

import test_report

COUNT = 1203


def test_the_report_has_a_button_for_every_class(tmp_path):
    job = test_report.build(tmp_path, tuple(f"thing {k}" for k in range(COUNT)))
    test_report.main(job)
    page = test_report.open_page(job)
    assert len([a for a in page.all("button", "chip") if "data-class" in a]) == COUNT + 1
    assert job.outputs["page"].stat().st_size < 5e6
