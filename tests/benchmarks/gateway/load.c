/* Agents and controllers around a gateway or a proxy: `load CERT KEY` tells its controllers' ports, then obeys lines.

   target PORT tls|jnlp4|ws CONTROLLER   where agents connect, and of which kind the controllers behind it are
   open COUNT AT_ONCE                    more agents, each of which has heard from its controller
   again COUNT AT_ONCE                   as open, but each leaves at once
   storm                                 all leave, and all come back at once, until each has heard from its controller
   bulk COUNT MIB WRITE raw|read|check   the first COUNT send so much; `raw`: controllers count records, unread
   both COUNT KIB                        the first COUNT send so much and get as much back, 16 of them at a time
   ping TIMES                            64 bytes there and back, by the first
   alive                                 how many agents still reach their controller
   end agents|controllers                one side ends all, the other reads to the end
   alerts                                how many TLS alerts have come since this was last asked
   drop                                  all agents leave, and what then still stands is cut

   Each is answered with one line of JSON. A line that takes longer than two minutes is answered with an error. */
#include "fibers.h"
#include "wire.h"

#define MOST 20000
#define PATIENCE 120.0

static line agents[MOST];
static char cookies[MOST][132];
static unsigned opened, next_name;
static line *controllers; /* those that have a channel */
static int kind, behind;
static struct sockaddr_in target;

static unsigned long done, failed, tries, counted; /* counted: bulks that have arrived whole at a controller */
static struct { unsigned first, count; size_t write; uint64_t bytes; } job;
static enum { RAW, READ, CHECK } how;

static const unsigned char *pieces(size_t *size, int of) { /* eight messages as an agent sends them */
    static unsigned char made[2][8 * (PIECE + HEAD)];
    static size_t sizes[2];
    int which = of == WS;
    if (!sizes[which]) {
        unsigned char data[PIECE - 2];
        line l = {.kind = of};
        for (int i = 0; i < 8; i++) {
            for (size_t j = 0; j < sizeof data; j++) data[j] = (unsigned char)(j * 131 + j / 256 + i);
            sizes[which] += message(&l, made[which] + sizes[which], data, sizeof data, 0x01020408u * (i + 3));
        }
    }
    *size = sizes[which];
    return made[which];
}

static size_t piece_at(int at) { return PIECE + (at == WS ? HEAD : 0); }

/* Counts what comes without reading it: of TLS, the records by their heads. */
static int count_raw(line *l, uint64_t goal) {
    uint64_t got = 0;
    size_t skip = 0, h = 0;
    unsigned char head[5];
    if (l->ssl) { /* what is decrypted already */
        int n = SSL_pending(l->ssl);
        if (n > 0) got += (uint64_t)SSL_read(l->ssl, big, n);
    }
    while (got < goal) {
        ssize_t n = recv(l->fd, big, sizeof big, l->ssl ? 0 : MSG_TRUNC);
        if (n == 0 || (n < 0 && errno != EAGAIN)) return 0;
        if (n < 0) { await_(l); continue; }
        if (!l->ssl) { got += n; continue; }
        for (ssize_t at = 0; at < n;) {
            size_t left = n - at, step = skip < left ? skip : left;
            skip -= step;
            at += step;
            if (skip || at == n) continue;
            head[h++] = (unsigned char)big[at++];
            if (h < 5) continue;
            h = 0;
            skip = head[3] << 8 | head[4];
            if (head[0] == 23) got += skip - 17;
        }
    }
    return 1;
}

static int count_read(line *l, uint64_t goal) {
    for (uint64_t got = 0; got < goal;) {
        uint64_t left = goal - got;
        ssize_t n = some(l, big, left < sizeof big ? left : sizeof big);
        if (n <= 0) return 0;
        got += n;
    }
    return 1;
}

static int check(line *l, uint64_t goal) {
    unsigned char data[PIECE];
    for (uint64_t i = 0, size = piece_at(l->kind); i < goal / size; i++) {
        if (get_message(l, data) != PIECE - 2) return 0;
        for (size_t j = 0; j < PIECE - 2; j++)
            if (data[j] != (unsigned char)(j * 131 + j / 256 + i % 8)) return 0;
    }
    return 1;
}

static int send_pieces(line *l, uint64_t bytes, size_t write) {
    size_t size, at = 0;
    const unsigned char *from = pieces(&size, l->server ? TLS : l->kind);
    for (uint64_t sent = 0; sent < bytes;) {
        size_t n = write < size - at ? write : size - at;
        if (n > bytes - sent) n = bytes - sent;
        if (!put(l, from + at, n)) return 0;
        sent += n;
        at = (at + n) % size;
    }
    return 1;
}

/* A controller: what comes says with its first byte what is to be done. */
static void serve(void *of) {
    line *l = of;
    unsigned char data[PIECE];
    uint64_t bytes;
    int ok = l->kind == WS      ? controller_over_websocket(l)
             : l->kind == JNLP4 ? controller_over_tcp(l)
                                : shake(l, as_server);
    if (ok) {
        l->next = controllers;
        if (l->next) l->next->before = l;
        controllers = l;
    }
    for (int n; ok && (n = get_message(l, data)) > 0;) {
        memcpy(&bytes, data + 1, 8);
        switch (data[0]) {
        case 'e': ok = put_message(l, data, n); break;
        case 'b':
            ok = data[9] == RAW ? count_raw(l, bytes) : data[9] == READ ? count_read(l, bytes) : check(l, bytes);
            counted += ok;
            break;
        case 's': ok = send_pieces(l, bytes, 65536); break;
        }
    }
    if (l->next) l->next->before = l->before;
    if (l->before) l->before->next = l->next;
    if (controllers == l) controllers = l->next;
    hang_up(l);
    free(l);
}

static void accept_all(line *at) {
    for (int fd; (fd = accept4(at->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
        line *l = calloc(1, sizeof *l);
        int one = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        *l = (line){.fd = fd, .kind = at->accepts, .server = 1, .accepts = -1};
        watch(l);
        start(serve, l);
    }
}

static int echo(line *l, size_t size) {
    unsigned char data[PIECE] = {'e'};
    return put_message(l, data, size) && get_message(l, data) == (int)size;
}

static int knock(line *l, char *cookie) {
    int one = 1;
    l->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(l->fd, (struct sockaddr *)&target, sizeof target) && errno != EINPROGRESS) return 0;
    watch(l);
    switch (kind) {
    case JNLP4: return agent_over_tcp(l, cookie);
    case WS: return agent_over_websocket(l, cookie) && echo(l, 10);
    default: return shake(l, as_client) && echo(l, 10);
    }
}

static void open_one(line *l, unsigned index) {
    unsigned at = (unsigned)(l - agents);
    for (;;) {
        *l = (line){.fd = -1, .kind = kind, .accepts = -1, .index = index};
        tries++;
        if (knock(l, cookies[at])) return;
        hang_up(l);
        rest(1.0);
    }
}

static void open_some(void *leaves) { /* one of those that open at once */
    while (job.first < job.count) {
        line *l = agents + job.first++;
        cookies[l - agents][0] = 0;
        open_one(l, next_name++);
        if (leaves) hang_up(l);
        done++;
    }
}

static void come_back(void *of) {
    line *l = of;
    open_one(l, l->index);
    done++;
}

static void send_bulk(void *of) {
    line *l = of;
    unsigned char order[10] = {'b'};
    uint64_t expected = job.bytes / piece_at(kind) * piece_at(behind);
    memcpy(order + 1, &expected, 8);
    order[9] = how;
    if (!put_message(l, order, sizeof order) || !send_pieces(l, job.bytes, job.write)) failed++;
    done++;
}

static void both_ways(void *of) {
    (void)of;
    while (job.first < job.count) {
        line *l = agents + job.first++;
        unsigned char order[10] = {'b'};
        memcpy(order + 1, &job.bytes, 8);
        order[9] = READ;
        int ok = put_message(l, order, sizeof order) && send_pieces(l, job.bytes, 65536);
        order[0] = 's';
        if (!ok || !put_message(l, order, sizeof order) || !count_read(l, job.bytes)) failed++;
        done++;
    }
}

static int compared(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double *times;

static void ping(void *of) {
    for (unsigned i = 0; i < job.count; i++) {
        double began = seconds();
        if (!echo(of, 64)) failed++;
        times[i] = (seconds() - began) * 1e6;
    }
    done++;
}

static void is_alive(void *of) {
    if (!echo(of, 10)) failed++;
    done++;
}

static void read_to_end(void *of) {
    while (some(of, big, sizeof big) > 0) {}
    done++;
}

static void half_close(void *of) {
    shutdown(((line *)of)->fd, SHUT_WR);
    read_to_end(of);
}

static unsigned long all_started(unsigned count, void (*run)(void *)) {
    done = failed = counted = 0;
    for (unsigned i = 0; i < count; i++) start(run, agents + i);
    return count;
}

static int obey(char *text, double until) {
    unsigned count = 0, at_once = 1, mib = 0, write = 65536;
    char word[16] = "", other[16] = "";
    double began = seconds();
    tries = failed = done = counted = 0;
    if (sscanf(text, "target %u %15s %15s", &count, word, other) == 3) {
        target = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)count)};
        target.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        kind = !strcmp(word, "ws") ? WS : !strcmp(word, "jnlp4") ? JNLP4 : TLS;
        behind = !strcmp(other, "ws") ? WS : !strcmp(other, "jnlp4") ? JNLP4 : TLS;
        printf("{}\n");
        return 1;
    }
    if (sscanf(text, "open %u %u", &count, &at_once) == 2 || sscanf(text, "again %u %u", &count, &at_once) == 2) {
        int leaves = *text == 'a';
        job.first = leaves ? 0 : opened;
        job.count = job.first + count;
        for (unsigned i = 0; i < at_once && i < count; i++) start(open_some, leaves ? agents : NULL);
        if (!run_until(&done, count, until)) return 0;
        if (!leaves) opened += count;
        else if (!run_until(&running, 0, until)) return 0;
        printf("{\"seconds\": %.6f, \"tries\": %lu}\n", seconds() - began, tries);
    } else if (!strncmp(text, "storm", 5)) {
        for (unsigned i = 0; i < opened; i++) hang_up(agents + i);
        if (!run_until(&done, all_started(opened, come_back), until)) return 0;
        printf("{\"seconds\": %.6f, \"tries\": %lu}\n", seconds() - began, tries);
    } else if (sscanf(text, "bulk %u %u %u %15s", &count, &mib, &write, word) == 4) {
        how = !strcmp(word, "raw") ? RAW : !strcmp(word, "read") ? READ : CHECK;
        size_t size;
        pieces(&size, kind);
        job.write = write;
        job.bytes = ((uint64_t)mib << 20) / size * size;
        all_started(count, send_bulk);
        if (!run_until(&done, count, until) || (!failed && !run_until(&counted, count, until))) return 0;
        printf("{\"seconds\": %.6f, \"bytes\": %lu, \"failed\": %lu}\n", seconds() - began, job.bytes * count, failed);
    } else if (sscanf(text, "both %u %u", &count, &mib) == 2) {
        job.first = 0;
        job.count = count;
        job.bytes = (uint64_t)mib << 10;
        for (int i = 0; i < 16; i++) start(both_ways, NULL);
        if (!run_until(&done, count, until)) return 0;
        printf("{\"seconds\": %.6f, \"failed\": %lu}\n", seconds() - began, failed);
    } else if (sscanf(text, "ping %u", &count) == 1) {
        times = calloc(count, sizeof *times);
        job.count = count;
        start(ping, agents);
        if (!run_until(&done, 1, until)) return 0;
        qsort(times, count, sizeof *times, compared);
        printf("{\"p50_us\": %.2f, \"p99_us\": %.2f, \"failed\": %lu}\n", times[count / 2], times[count * 99 / 100], failed);
        free(times);
    } else if (!strncmp(text, "alive", 5)) {
        if (!run_until(&done, all_started(opened, is_alive), until)) return 0;
        printf("{\"alive\": %lu}\n", opened - failed);
    } else if (!strncmp(text, "drop", 4)) {
        for (unsigned i = 0; i < opened; i++) hang_up(agents + i);
        opened = 0;
        if (!run_until(&running, 0, seconds() + 3))
            for (line *l = controllers; l; l = l->next) shutdown(l->fd, SHUT_RDWR);
        if (!run_until(&running, 0, until)) return 0;
        printf("{\"seconds\": %.6f}\n", seconds() - began);
    } else if (sscanf(text, "end %15s", word) == 1) {
        int theirs = !strcmp(word, "controllers");
        if (theirs)
            for (line *l = controllers; l; l = l->next) shutdown(l->fd, SHUT_WR);
        if (!run_until(&done, all_started(opened, theirs ? read_to_end : half_close), until)) return 0;
        for (unsigned i = 0; i < opened; i++) hang_up(agents + i);
        opened = 0;
        if (!run_until(&running, 0, until)) return 0;
        printf("{\"seconds\": %.6f}\n", seconds() - began);
    } else if (!strncmp(text, "alerts", 6)) {
        printf("{\"alerts\": %lu}\n", alerts);
        alerts = 0;
    } else
        return 0;
    return 1;
}

static unsigned listens(int of) {
    line *l = calloc(1, sizeof *l);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    *l = (line){.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), .accepts = of};
    if (bind(l->fd, (struct sockaddr *)&at, size) || listen(l->fd, 4096)) { perror("listen"); exit(1); }
    getsockname(l->fd, (struct sockaddr *)&at, &size);
    watch(l);
    return ntohs(at.sin_port);
}

int main(int count, char **given) {
    char text[256];
    struct rlimit most;
    if (count != 3) return 2;
    signal(SIGPIPE, SIG_IGN);
    getrlimit(RLIMIT_NOFILE, &most);
    most.rlim_cur = most.rlim_max;
    setrlimit(RLIMIT_NOFILE, &most);
    poller = epoll_create1(EPOLL_CLOEXEC);
    as_server = SSL_CTX_new(TLS_server_method());
    as_client = SSL_CTX_new(TLS_client_method());
    if (SSL_CTX_use_certificate_file(as_server, given[1], SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_use_PrivateKey_file(as_server, given[2], SSL_FILETYPE_PEM) != 1) {
        ERR_print_errors_fp(stderr);
        return 1;
    }
    SSL_CTX_set_num_tickets(as_server, 0);
    SSL_CTX_set_options(as_server, SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_options(as_client, SSL_OP_IGNORE_UNEXPECTED_EOF);
    for (SSL_CTX **ctx = (SSL_CTX *[]){as_server, as_client, NULL}; *ctx; ctx++) {
        SSL_CTX_set_mode(*ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
        SSL_CTX_set_msg_callback(*ctx, heard);
        SSL_CTX_set_session_cache_mode(*ctx, SSL_SESS_CACHE_OFF);
    }
    unsigned tls = listens(TLS), jnlp4 = listens(JNLP4), ws = listens(WS);
    printf("{\"tls\": %u, \"jnlp4\": %u, \"ws\": %u, \"openssl\": \"%s\"}\n", tls, jnlp4, ws, OpenSSL_version(OPENSSL_VERSION));
    fflush(stdout);
    while (fgets(text, sizeof text, stdin)) {
        if (!obey(text, seconds() + PATIENCE)) {
            text[strcspn(text, "\n")] = 0;
            printf("{\"error\": \"%s: unknown, or not done in time; %lu done, %lu failed, %lu counted\"}\n", text, done, failed, counted);
        }
        fflush(stdout);
    }
    return 0;
}
