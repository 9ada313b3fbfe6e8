"""One canonical record per news event, with its truncated related items, kept in a SQL database.

The house has five floors; a room imports lower floors only (tests/test_architecture.py holds it to that).

    4  daemon.py  timers.py  cli/              doors: timers and signals; commands   home of apscheduler
       web/                                    pages, JSON, feeds               home of fastapi, uvicorn, jinja2
       demo/                                   sample feeds of our own, served on loopback
    3  pipeline/                               the two flows in order, the only place where rooms meet
       meters.py                               what is counted                  home of prometheus_client
    2  fetch/                                  FeedStates -> FetchResults            home of httpx
       workers/  supervisor.py                 parse in killable processes; what systemd is told
       store/                                  tables, migrations, reads and writes  home of sqlmodel, alembic
    1  opml/                                   OPML bytes -> FeedList                home of listparser
       schedule.py  moves.py                   FeedState + outcome + now -> FeedState
       rhythm.py                               what a feed brought by day -> what is strange
       credentials.py  logs.py                 URLs as people may see them; log lines
       parse/                                  Fetched -> ParsedFeed | Failed        home of feedparser
       normalise/                              ParsedEntry -> Entry                  home of nh3, selectolax
       cluster/                                signature, window, judge, assign      home of datasketch, numpy
       teaser.py                               text -> teaser; which entry is canonical
       publish/                                an event as text, as JSON
    0  types.py  config.py                     what crosses borders; Settings

    poll     due FeedStates -> fetch -> parse -> normalise -> unseen -> sign -> decide -> save_poll
             (any number of workers; one poll is one transaction)
    cluster  pending entries -> candidates -> probabilities -> groups -> save -> Event, Teasers
             (one clusterer, in order of entry number; what newcomers changed is weighed again)
"""
