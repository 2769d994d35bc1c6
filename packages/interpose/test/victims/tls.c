/* Case 14: TLS streams by OpenSSL 3, found at run time so that its headers are not needed. Both
 * ends are in this process; the ciphers need no certificate. */
#include "channels.h"
#include <dlfcn.h>

enum { OLD = 1, NEW = 2 };
#define SIZE (200 * KIB)

/* The part of OpenSSL's interface that is used, as its manual gives it. */
static const void *(*TLS_method)(void);
static void *(*SSL_CTX_new)(const void *);
static long (*SSL_CTX_ctrl)(void *, int, long, void *);
static int (*SSL_CTX_set_cipher_list)(void *, const char *);
static void *(*SSL_new)(void *);
static int (*SSL_set_fd)(void *, int);
static int (*SSL_accept)(void *);
static int (*SSL_connect)(void *);
static int (*SSL_read)(void *, void *, int);
static int (*SSL_write)(void *, const void *, int);
static int (*SSL_shutdown)(void *);
static void (*SSL_free)(void *);
static void *(*BIO_new_mem_buf)(const void *, int);
static int (*BIO_read)(void *, void *, int);
static int (*EVP_Digest)(const void *, size_t, byte *, unsigned *, const void *, void *);
static const void *(*EVP_sha256)(void);

enum { SET_MAX_PROTO = 124, TLS1_2 = 0x303 };

static void *need(const char *name) {
    static void *library;
    if (!library)
        library = dlopen("libssl.so.3", RTLD_NOW | RTLD_GLOBAL);
    void *symbol = library ? dlsym(library, name) : NULL;
    if (!symbol)
        skip("OpenSSL 3 (libssl.so.3) is not installed");
    return symbol;
}
#define FIND(name) (*(void **)&name = need(#name))

static void *new_context(void) {
    FIND(TLS_method), FIND(SSL_CTX_new), FIND(SSL_CTX_ctrl), FIND(SSL_CTX_set_cipher_list),
        FIND(SSL_new), FIND(SSL_set_fd);
    FIND(SSL_accept), FIND(SSL_connect), FIND(SSL_read), FIND(SSL_write), FIND(SSL_shutdown),
        FIND(SSL_free);
    FIND(BIO_new_mem_buf), FIND(BIO_read), FIND(EVP_Digest), FIND(EVP_sha256);
    void *context = SSL_CTX_new(TLS_method());
    SSL_CTX_ctrl(context, SET_MAX_PROTO, TLS1_2, NULL);
    if (SSL_CTX_set_cipher_list(context, "AECDH-AES256-SHA:@SECLEVEL=0") != 1)
        skip("OpenSSL has no cipher without certificates");
    return context;
}

struct end {
    void *context;
    int fd;
};

/* Echoes until the other side closes, through a copy. */
static void *serve(void *argument) {
    struct end *e = argument;
    void *session = SSL_new(e->context);
    SSL_set_fd(session, e->fd);
    EXPECT(SSL_accept(session), 1);
    byte *buffer = region(SIZE), *copied = region(SIZE);
    for (;;) {
        int n = SSL_read(session, buffer, (int)SIZE);
        if (n <= 0)
            break;
        copy(copied, buffer, (size_t)n);
        EXPECT(SSL_write(session, copied, n), n);
    }
    SSL_shutdown(session);
    SSL_free(session);
    return NULL;
}

static void echo(void) {
    void *context = new_context();
    struct channel channels[] = {inet_pair(SOCK_STREAM), unix_pair(SOCK_STREAM)};
    for (int kind = 0; kind < 2; kind++) {
        struct end server = {context, channels[kind].in};
        pthread_t thread = start(serve, &server);
        void *session = SSL_new(context);
        SSL_set_fd(session, channels[kind].out);
        EXPECT(SSL_connect(session), 1);
        for (int round = 0; round < 3; round++) {
            byte *at = viewed(SIZE, NEW), *into = viewed(SIZE, OLD), *copied = region(SIZE);
            size_t sent = 0, got = 0;
            while (got < SIZE) {
                size_t part = SIZE - sent < 50000 ? SIZE - sent : 50000;
                if (part)
                    EXPECT(SSL_write(session, at + sent, (int)part), part);
                sent += part;
                while (got < sent) {
                    int n = SSL_read(session, into + got, (int)(SIZE - got));
                    if (n <= 0) {
                        EXPECT(n, 1);
                        return;
                    }
                    got += (size_t)n;
                }
            }
            copy(copied, into, SIZE);
            EXPECT_BYTES(copied, SIZE, NEW, 0);
            EXPECT_BYTES(into, SIZE, NEW, 0);
            munmap(at, SIZE), munmap(into, SIZE), munmap(copied, SIZE);
        }
        SSL_shutdown(session);
        pthread_join(thread, NULL);
        SSL_free(session);
        close_channel(channels[kind]);
    }
}

static void digests(void) {
    new_context();
    byte *at = viewed(SIZE, NEW), *twin = stream_bytes(SIZE, NEW, 0), *out = region(SIZE), one[64],
         other[64];
    unsigned length;
    EXPECT(EVP_Digest(at, SIZE, one, &length, EVP_sha256(), NULL), 1);
    EXPECT(EVP_Digest(twin, SIZE, other, &length, EVP_sha256(), NULL), 1);
    for (unsigned i = 0; i < length; i++)
        EXPECT(one[i], other[i]);
    void *bio = BIO_new_mem_buf(viewed(SIZE, NEW), (int)SIZE);
    EXPECT(BIO_read(bio, out, (int)SIZE), SIZE);
    EXPECT_BYTES(out, SIZE, NEW, 0);
}

SUBCASES({"echo", echo}, {"digests", digests})
