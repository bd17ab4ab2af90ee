/* What agents and controllers say before their channel, and the chunks in it. */
enum { TLS, JNLP4, WS };

#define CAPABILITY "rO0ABXNyABpodWRzb24ucmVtb3RpbmcuQ2FwYWJpbGl0eQAAAAAAAAABAgABSgAEbWFza3hwAAAAAAAAAf4="
#define LENGTH (sizeof CAPABILITY - 1)
_Static_assert(LENGTH == 0x54, "as it is written below");
#define KEY "AQIDBAUGBwgJCgsMDQ4PEA=="
#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#define SECRET "abababababababababababababababababababababababababababababababab"
#define PIECE 8192 /* a chunk with its header */
#define HEAD 8     /* of the frame that carries one from a client: 16 bits of length, and the mask */

static SSL_CTX *as_server, *as_client;
static unsigned long alerts; /* that were received */

static void heard(int wrote, int version, int type, const void *data, size_t size, SSL *ssl, void *arg) {
    (void)version, (void)data, (void)size, (void)ssl, (void)arg;
    if (!wrote && type == SSL3_RT_ALERT) alerts++;
}

static int put_block(line *l, const char *text, size_t size) {
    char block[2048];
    block[0] = (char)(size >> 8);
    block[1] = (char)size;
    memcpy(block + 2, text, size);
    return put(l, block, size + 2);
}

static int get_block(line *l, char *text, size_t most) {
    unsigned char size[2];
    if (!exact(l, size, 2)) return -1;
    size_t n = size[0] << 8 | size[1];
    if (n >= most || !exact(l, text, n)) return -1;
    text[n] = 0;
    return (int)n;
}

static int get_ack(line *l) {
    char ack[8];
    return get_block(l, ack, sizeof ack) == 3 && !memcmp(ack, "ACK", 3);
}

/* Reads a head of HTTP and not a byte more. */
static int get_head(line *l, char *head, size_t most) {
    for (;;) {
        ssize_t n = recv(l->fd, head, most - 1, MSG_PEEK);
        if (n == 0 || (n < 0 && errno != EAGAIN)) return 0;
        if (n > 0) {
            head[n] = 0;
            char *end = strstr(head, "\r\n\r\n");
            if (end) {
                end[4] = 0;
                return exact(l, head, end + 4 - head);
            }
        }
        await_(l);
    }
}

static void find(const char *in, const char *before, char *to) { /* hex digits after a text */
    const char *at = strstr(in, before);
    *to = 0;
    if (!at) return;
    at += strlen(before);
    size_t n = strspn(at, "0123456789abcdefABCDEF");
    if (n > 128) return;
    memcpy(to, at, n);
    to[n] = 0;
}

static int agent_over_tcp(line *l, char *cookie) {
    static const char first[] = "\0\x16Protocol:JNLP4-connect\0\3ACK";
    char text[1024];
    if (!put(l, first, sizeof first - 1) || !get_ack(l) || !shake(l, as_client)) return 0;
    int n = snprintf(text, sizeof text, "{\"Node-Name\":\"bench-%u\",\"Secret-Key\":\"" SECRET "\"%s%s%s}", l->index,
                     *cookie ? ",\"JnlpAgentProtocol.cookie\":\"" : "", cookie, *cookie ? "\"" : "");
    if (!put_block(l, text, n) || get_block(l, text, sizeof text) < 0) return 0;
    find(text, "cookie\":\"", cookie);
    if (get_block(l, text, sizeof text) != 2) {
        fprintf(stderr, "refused: %s\n", text);
        return 0;
    }
    /* the OK, and at once what the channel begins with */
    static const char last[] = "\0\2OK\0\x54" CAPABILITY;
    return put(l, last, sizeof last - 1) && get_block(l, text, sizeof text) == LENGTH;
}

static int controller_over_tcp(line *l) {
    char text[1024];
    static const char answer[] = "\0\x5f{\"JnlpAgentProtocol.cookie\":\"" SECRET "\"}\0\2OK";
    _Static_assert(sizeof answer - 1 == 2 + 0x5f + 4, "length of the block");
    if (get_block(l, text, sizeof text) < 0 || !get_ack(l) || !put_block(l, "ACK", 3) || !shake(l, as_server)) return 0;
    if (get_block(l, text, sizeof text) < 0 || !put(l, answer, sizeof answer - 1)) return 0;
    if (get_block(l, text, sizeof text) != 2 || get_block(l, text, sizeof text) < 0) return 0;
    return put_block(l, CAPABILITY, LENGTH);
}

static int agent_over_websocket(line *l, char *cookie) {
    char head[4096];
    int n = snprintf(head, sizeof head,
                     "GET /c/main/wsagents/ HTTP/1.1\r\nHost: gw\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Origin: http://gw\r\nSec-WebSocket-Key: " KEY "\r\nSec-WebSocket-Version: 13\r\n"
                     "Node-Name: bench-%u\r\nSecret-Key: " SECRET "\r\nX-Remoting-Capability: " CAPABILITY
                     "\r\n%s%s%s\r\n", l->index, *cookie ? "Connection-Cookie: " : "", cookie, *cookie ? "\r\n" : "");
    if (!put(l, head, n) || !get_head(l, head, sizeof head)) return 0;
    find(head, "Connection-Cookie: ", cookie);
    return !strncmp(head, "HTTP/1.1 101", 12);
}

static int controller_over_websocket(line *l) {
    char head[4096], key[128] = "";
    unsigned char digest[20], accept[64];
    if (!get_head(l, head, sizeof head)) return 0;
    const char *at = strcasestr(head, "sec-websocket-key: ");
    if (!at || sscanf(at + 19, "%60[^\r]", key) != 1) return 0;
    strcat(key, GUID);
    SHA1((unsigned char *)key, strlen(key), digest);
    EVP_EncodeBlock(accept, digest, 20);
    int n = snprintf(head, sizeof head,
                     "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Accept: %s\r\nX-Remoting-Capability: " CAPABILITY "\r\n"
                     "Connection-Cookie: " SECRET "\r\n\r\n", accept);
    return put(l, head, n);
}

static void mask(unsigned char *data, size_t size, const unsigned char *with) {
    for (size_t i = 0; i < size; i++) data[i] ^= with[i & 3];
}

/* A chunk, in a message of its own where messages are; gives its length. At most 8190 bytes. */
static size_t message(const line *l, unsigned char *to, const void *data, size_t size, uint32_t with) {
    size_t head = 0, whole = size + 2;
    if (l->kind == WS) {
        to[head++] = 0x82;
        to[head++] = (l->server ? 0 : 0x80) | (whole < 126 ? (int)whole : 126);
        if (whole >= 126) to[head++] = whole >> 8, to[head++] = (unsigned char)whole;
        if (!l->server) memcpy(to + head, &with, 4), head += 4;
    }
    to[head] = size >> 8;
    to[head + 1] = (unsigned char)size;
    memcpy(to + head + 2, data, size);
    if (l->kind == WS && !l->server) mask(to + head, whole, to + head - 4);
    return head + whole;
}

static int put_message(line *l, const void *data, size_t size) {
    unsigned char raw[PIECE + 16];
    return put(l, raw, message(l, raw, data, size, 0x5a17c3e9));
}

/* A chunk's data; -1 at the end. A message is one chunk, and a ping is passed over. */
static int get_message(line *l, unsigned char *data) {
    unsigned char head[4], with[4] = {0};
    size_t size = 0;
    if (l->kind == WS) do {
        if (!exact(l, head, 2)) return -1;
        int first = head[0], masked = head[1] & 0x80;
        size = head[1] & 0x7f;
        if (size == 127 || (size == 126 && !exact(l, head + 2, 2))) return -1;
        if (size == 126) size = head[2] << 8 | head[3];
        memset(with, 0, 4);
        if ((masked && !exact(l, with, 4)) || size > PIECE) return -1;
        if ((first & 0x0f) == 8) return -1;
        if ((first & 0x0f) == 9 && !exact(l, data, size)) return -1;
        head[0] = first;
    } while ((head[0] & 0x0f) == 9);
    if (!exact(l, head, 2)) return -1;
    mask(head, 2, with);
    size_t told = (head[0] & 0x7f) << 8 | head[1];
    if ((l->kind == WS && told + 2 != size) || told > PIECE - 2 || !exact(l, data, told)) return -1;
    for (size_t i = 0; i < told; i++) data[i] ^= with[(i + 2) & 3]; /* the header took two bytes of the mask */
    return (int)told;
}
