// Run by GroovyMain with src on the class path; an assertion that fails ends it.
TimeZone.default = TimeZone.getTimeZone('UTC')
AT = 1_700_000_000_000L // 22:13:20
number = 0
event = { Map words ->
    [number: ++number, at: AT + 1000 * number, event: '', attempt: 0, pool: '', reason: '', message: '', hint: '', outcome: ''] + words
}
tried = []
check = { String sentence, Closure work ->
    number = 0
    ByteArrayOutputStream log = new ByteArrayOutputStream()
    work.call(new Journal('linux-7f3k2 for app (linux), policy linux'), log, { log.toString().readLines() })
    tried << sentence
}
HEAD = '[agentbroker] linux-7f3k2 for app (linux), policy linux'

check('every phase has its time, pool, reason and words') { Journal journal, log, lines ->
    journal.reopen(new PrintStream(log))
    [event(event: 'requested'),
     event(event: 'waiting', reason: 'PolicyAtLimit', message: 'policy linux is at its limit'),
     event(event: 'placed', pool: 'spot', attempt: 1, message: 'fargate: NotChosen: next in turn; hangzhou: PoolPaused: by ana'),
     event(event: 'failed', pool: 'spot', attempt: 1, reason: 'InsufficientCapacity', message: 'Capacity is unavailable\nat this time'),
     event(event: 'placed', pool: 'fargate', attempt: 2),
     event(event: 'booting', pool: 'fargate', attempt: 2, message: 'task/4f0c'),
     event(event: 'online', pool: 'fargate', attempt: 2),
     event(event: 'goal', pool: 'fargate', attempt: 2, reason: 'Completed', message: 'its last build is done', outcome: 'succeeded'),
     event(event: 'terminating', pool: 'fargate', attempt: 2, reason: 'Completed', message: 'its last build is done'),
     event(event: 'gone', pool: 'fargate', attempt: 2, reason: 'Completed', message: 'its last build is done', outcome: 'succeeded'),
    ].each { journal.tell(it) }
    assert lines() == [
            HEAD,
            '[22:13:21] requested',
            '[22:13:22] waiting      PolicyAtLimit: policy linux is at its limit',
            '[22:13:23] launching    spot; not chosen: fargate: NotChosen: next in turn; hangzhou: PoolPaused: by ana',
            '[22:13:24] failed       spot: InsufficientCapacity: Capacity is unavailable',
            '           at this time',
            '[22:13:25] launching    fargate (attempt 2)',
            '[22:13:26] booting      fargate (attempt 2): task/4f0c',
            '[22:13:27] online       fargate (attempt 2)',
            '[22:13:28] ending       fargate (attempt 2): Completed: its last build is done',
            '[22:13:29] terminating  fargate (attempt 2)',
            '[22:13:30] gone         fargate (attempt 2): succeeded']
}

check('the end of an agent that failed is an error with its own last words and a hint') { Journal journal, log, lines ->
    journal.reopen(new PrintStream(log))
    Map failed = event(event: 'failed', pool: 'it', attempt: 1, reason: 'ContainerExited', outcome: 'failed',
            message: 'exit code 137 (out of memory)\nException in thread "main"\njava.lang.OutOfMemoryError', hint: 'Give it more.')
    journal.tell(failed)
    journal.end('ContainerExited', 'told by the sync, too')
    journal.tell(event(event: 'gone', pool: 'it', attempt: 1, reason: 'ContainerExited', message: failed.message, outcome: 'failed'))
    assert lines().drop(1) == [
            '[22:13:21] failed       it',
            'ERROR: ContainerExited: exit code 137 (out of memory)',
            '       Exception in thread "main"',
            '       java.lang.OutOfMemoryError',
            '       hint: Give it more.',
            '[22:13:22] gone         it: failed']
}

check('an event that comes again is not written again, one of a restored history is') { Journal journal, log, lines ->
    journal.reopen(new PrintStream(log))
    Map first = event(event: 'requested')
    3.times { journal.tell(first + [:]) }
    journal.tell(first + [at: first.at + 60_000])
    assert lines() == [HEAD, '[22:13:21] requested', '[22:14:21] requested']
}

check('a log that Jenkins empties has everything again, once, whenever that is') { Journal journal, log, lines ->
    journal.tell(event(event: 'requested'))
    assert log.size() == 0: 'Jenkins would empty it'
    journal.reopen(new PrintStream(log)) { log.reset() }
    Thread writer = Thread.start { 500.times { journal.tell(event(event: 'waiting', reason: 'PoolAtLimit', message: "$it")) } }
    20.times { journal.reopen(new PrintStream(log)) { log.reset() } }
    writer.join()
    assert lines().size() == 502
    assert lines().drop(2)*.replaceAll(/.*: /, '') == (0..<500)*.toString()
}

check('of a node that waits for days the last lines are kept, and its head') { Journal journal, log, lines ->
    2_500.times { journal.tell(event(event: 'waiting', message: "$it")) }
    journal.reopen(new PrintStream(log))
    assert lines().size() == 2_000
    assert lines()[0] == HEAD && lines().last().endsWith('2499')
    assert journal.@told.size() == 2_000 && journal.count == 2_500: 'what is known of the oldest is let go'
}
println "journal: ${tried.size()} passed"
System.exit(0)
