/* Connections that are written as if they blocked: each is a fiber on one epoll, in one thread. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define STACK (128 * 1024)

typedef struct fiber {
    ucontext_t here;
    void *stack;
    void (*run)(void *);
    void *of;
    double wakes_at; /* of one that sleeps; 0: it waits for a descriptor */
    struct fiber *next;
} fiber;

typedef struct line { /* one connection; only one fiber at a time uses it */
    int fd;
    int kind;
    int server;
    SSL *ssl;
    fiber *waits;
    int accepts; /* of a listening socket: the kind of what comes */
    struct line *next, *before;
    unsigned index;
} line;

static int poller;
static ucontext_t loop;
static fiber *now, *spare, *sleepers;
static unsigned long running; /* fibers that have not ended */
static char big[256 * 1024];

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void yield_(void) {
    fiber *me = now;
    swapcontext(&me->here, &loop);
}

static void resume(fiber *f) {
    now = f;
    swapcontext(&loop, &f->here);
    now = NULL;
}

static void ended(void) {
    fiber *me = now;
    me->run(me->of);
    running--;
    me->next = spare;
    spare = me;
    yield_();
    abort();
}

static void start(void (*run)(void *), void *of) {
    fiber *f = spare;
    if (f)
        spare = f->next;
    else {
        f = calloc(1, sizeof *f);
        f->stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (f->stack == MAP_FAILED) { perror("mmap"); exit(1); }
    }
    f->run = run;
    f->of = of;
    f->wakes_at = 0;
    running++;
    getcontext(&f->here);
    f->here.uc_stack.ss_sp = f->stack;
    f->here.uc_stack.ss_size = STACK;
    makecontext(&f->here, ended, 0);
    resume(f);
}

static void rest(double s) { /* sleeps */
    now->wakes_at = seconds() + s;
    now->next = sleepers;
    sleepers = now;
    yield_();
}

static void await_(line *l) {
    l->waits = now;
    yield_();
}

static void accept_all(line *l);

/* Runs fibers until `*count` is `goal`, or the time is up: 0 then. */
static int run_until(volatile unsigned long *count, unsigned long goal, double until) {
    struct epoll_event events[256];
    while (*count != goal) {
        double left = until - seconds();
        if (left <= 0) return 0;
        int n = epoll_wait(poller, events, 256, sleepers ? 10 : (int)(left * 1000) + 1);
        for (int i = 0; i < n; i++) {
            line *l = events[i].data.ptr;
            if (l->accepts >= 0)
                accept_all(l);
            else if (l->waits) {
                fiber *f = l->waits;
                l->waits = NULL;
                resume(f);
            }
        }
        fiber **at = &sleepers;
        for (double t = seconds(); *at;) {
            fiber *f = *at;
            if (f->wakes_at > t) { at = &f->next; continue; }
            *at = f->next;
            f->wakes_at = 0;
            resume(f);
            at = &sleepers;
        }
    }
    return 1;
}

static void watch(line *l) {
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = l};
    if (l->accepts >= 0) e.events = EPOLLIN;
    if (epoll_ctl(poller, EPOLL_CTL_ADD, l->fd, &e)) { perror("epoll_ctl"); exit(1); }
}

/* Reads what there is: 0 at the end, -1 for a failure. */
static ssize_t some(line *l, void *to, size_t most) {
    for (;;) {
        if (l->ssl) {
            ERR_clear_error();
            int n = SSL_read(l->ssl, to, most > 1 << 30 ? 1 << 30 : (int)most);
            if (n > 0) return n;
            int why = SSL_get_error(l->ssl, n);
            if (why == SSL_ERROR_ZERO_RETURN) return 0;
            if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) return -1;
        } else {
            ssize_t n = recv(l->fd, to, most, 0);
            if (n >= 0) return n;
            if (errno != EAGAIN) return -1;
        }
        await_(l);
    }
}

static int exact(line *l, void *to, size_t count) {
    for (size_t got = 0; got < count;) {
        ssize_t n = some(l, (char *)to + got, count - got);
        if (n <= 0) return 0;
        got += n;
    }
    return 1;
}

static int put(line *l, const void *from, size_t count) {
    for (size_t sent = 0; sent < count;) {
        if (l->ssl) {
            ERR_clear_error();
            int n = SSL_write(l->ssl, (const char *)from + sent, (int)(count - sent));
            if (n > 0) { sent += n; continue; }
            int why = SSL_get_error(l->ssl, n);
            if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) return 0;
        } else {
            ssize_t n = send(l->fd, (const char *)from + sent, count - sent, MSG_NOSIGNAL);
            if (n > 0) { sent += n; continue; }
            if (errno != EAGAIN) return 0;
        }
        await_(l);
    }
    return 1;
}

static int shake(line *l, SSL_CTX *ctx) {
    l->ssl = SSL_new(ctx);
    SSL_set_fd(l->ssl, l->fd);
    for (;;) {
        ERR_clear_error();
        int n = l->server ? SSL_accept(l->ssl) : SSL_connect(l->ssl);
        if (n == 1) return 1;
        int why = SSL_get_error(l->ssl, n);
        if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) return 0;
        await_(l);
    }
}

static void hang_up(line *l) { /* a bare FIN, as Java's */
    if (l->fd < 0) return;
    close(l->fd);
    l->fd = -1;
    if (l->ssl) SSL_free(l->ssl);
    l->ssl = NULL;
}
