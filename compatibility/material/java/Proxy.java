// A TCP proxy on java.nio: one selector, non-blocking channels, buffers of 256 KiB. Arguments: port, backend's port, and
// "direct", "heap" (the JDK copies between the heap and memory of its own) or "twice" (direct to heap to direct).
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.*;
import java.util.Iterator;

public class Proxy {
    static final int SIZE = 256 << 10;
    static String kind;

    /** One direction: what was read from `from` and is still to be written to `to`. */
    static class Half {
        final SocketChannel from, to;
        final ByteBuffer in = kind.equals("heap") ? ByteBuffer.allocate(SIZE) : ByteBuffer.allocateDirect(SIZE);
        final ByteBuffer middle = ByteBuffer.allocate(SIZE), last = ByteBuffer.allocateDirect(SIZE);
        ByteBuffer out;
        boolean ended;

        Half(SocketChannel from, SocketChannel to) { this.from = from; this.to = to; }

        boolean isEmpty() { return out == null || !out.hasRemaining(); }

        /** False at the end of the stream. */
        boolean pump() throws Exception {
            for (int round = 0; round < 8; round++) {
                if (isEmpty()) {
                    if (ended) return false;
                    out = null;
                    in.clear();
                    int n = from.read(in);
                    if (n < 0) { ended = true; to.shutdownOutput(); return false; }
                    if (n == 0) return true;
                    in.flip();
                    out = in;
                    if (kind.equals("twice")) {
                        middle.clear(); middle.put(in); middle.flip();
                        last.clear(); last.put(middle); last.flip();
                        out = last;
                    }
                }
                to.write(out);
                if (!isEmpty()) return true;
            }
            return true;
        }
    }

    static class Link {
        final Half[] halves;
        final SelectionKey[] keys = new SelectionKey[2];

        Link(Selector selector, SocketChannel client, SocketChannel server) throws Exception {
            halves = new Half[] {new Half(client, server), new Half(server, client)};
            client.configureBlocking(false);
            server.configureBlocking(false);
            keys[0] = client.register(selector, SelectionKey.OP_READ, this);
            keys[1] = server.register(selector, SelectionKey.OP_READ, this);
        }

        void close() {
            for (Half half : halves)
                try { half.from.close(); } catch (Exception ignored) { }
        }

        void pump() {
            try {
                boolean first = halves[0].pump(), second = halves[1].pump();
                if (!first && !second || halves[1].ended && halves[1].isEmpty()) { close(); return; }
                for (int i = 0; i < 2; i++) {
                    Half reading = halves[i], writing = halves[1 - i];
                    keys[i].interestOps((reading.ended || !reading.isEmpty() ? 0 : SelectionKey.OP_READ)
                        | (writing.isEmpty() ? 0 : SelectionKey.OP_WRITE));
                }
            } catch (Exception gone) {
                close();
            }
        }
    }

    public static void main(String[] words) throws Exception {
        kind = words[2];
        Selector selector = Selector.open();
        ServerSocketChannel listening = ServerSocketChannel.open();
        listening.bind(new InetSocketAddress("127.0.0.1", Integer.parseInt(words[0])));
        listening.configureBlocking(false);
        listening.register(selector, SelectionKey.OP_ACCEPT);
        for (;;) {
            selector.select();
            for (Iterator<SelectionKey> keys = selector.selectedKeys().iterator(); keys.hasNext();) {
                SelectionKey key = keys.next();
                keys.remove();
                if (!key.isValid()) continue;
                if (!key.isAcceptable()) { ((Link) key.attachment()).pump(); continue; }
                SocketChannel client = listening.accept();
                int backend = Integer.parseInt(words[1]);
                new Link(selector, client, SocketChannel.open(new InetSocketAddress("127.0.0.1", backend)));
            }
            System.gc();
        }
    }
}
