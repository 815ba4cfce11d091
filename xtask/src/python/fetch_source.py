"""Fetches a source package with pip, without running anything of it: NAME FILE PLACE."""
import sys

from pip._internal.commands import create_command

name, file, place = sys.argv[1:]
command = create_command("download")
arguments = ["--no-deps", "--no-binary=:all:", "--disable-pip-version-check", name]
options, _ = command.parse_args(arguments)
with command.main_context():
    session = command.get_default_session(options)
    # A package that is not for this Python is still a file with weights in it.
    finder = command._build_package_finder(options, session, ignore_requires_python=True)
    links = [candidate.link for candidate in finder.find_all_candidates(name)]
    links = [link for link in links if link.filename == file]
    if not links:
        sys.exit(f"the index of pip does not offer {file}")
    # Without compression on the way: the bytes are those of the file.
    headers = {"Accept-Encoding": "identity"}
    with session.get(links[0].url_without_fragment, headers=headers, stream=True) as answer:
        answer.raise_for_status()
        total = int(answer.headers.get("Content-Length") or 0)
        done, shown = 0, 0
        with open(place, "wb") as output:
            for part in answer.iter_content(1 << 18):
                output.write(part)
                done += len(part)
                if total and done * 10 // total > shown:
                    shown = done * 10 // total
                    print(f"  {shown * 10} % of {total / 1e6:.1f} MB", file=sys.stderr)
