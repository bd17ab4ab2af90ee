package io.agentbroker.client;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Map;

/**
 * A file with a secret, by the name of its setting. It is read only when nobody but this user and root can read or
 * change it; a link is followed, and what it leads to counts. One of root's may be readable for a group: so orchestrators
 * hand secrets to those who are not root.
 */
record PrivateFile(String setting, Path path) {
    private static final int MOST_BYTES = 64 << 10;
    private static final int OTHERS = 0077;
    private static final int OTHERS_BUT_A_GROUP_THAT_READS = 0037;
    private static final int ROOT = 0;

    /** Why a file is not used: what is wrong with it, and what to do. */
    static final class Refused extends IllegalArgumentException {
        private static final long serialVersionUID = 1L;

        Refused(String message, Throwable cause) {
            super(message, cause);
        }
    }

    /** Its bytes; throws {@link Refused}. */
    byte[] bytes() {
        try {
            check();
            try (InputStream stream = Files.newInputStream(path)) {
                byte[] read = stream.readNBytes(MOST_BYTES + 1);
                if (read.length > MOST_BYTES) {
                    throw refused("is larger than 64 KiB, so it is no secret of ours", null);
                }
                return read;
            }
        } catch (NoSuchFileException error) {
            throw refused("does not exist", error);
        } catch (AccessDeniedException error) {
            throw refused("cannot be read by the user of Jenkins; run: chown " + user() + " " + path, error);
        } catch (IOException error) {
            throw refused("cannot be read: " + error.getMessage(), error);
        }
    }

    /** Its one word, without the line's end; throws {@link Refused}. Nothing of what it holds is ever in a message. */
    String word() {
        String text = new String(bytes(), StandardCharsets.UTF_8).strip();
        if (text.isEmpty()) {
            throw refused("is empty; agentbroker init jenkins writes a token into it", null);
        }
        if (text.lines().count() > 1) {
            throw refused("has " + text.lines().count() + " lines; it must hold the token alone", null);
        }
        if (!text.chars().allMatch(c -> c > ' ' && c < 127)) {
            throw refused("holds a space, or what is not ASCII; it must hold the token alone", null);
        }
        return text;
    }

    Refused refused(String why, Throwable cause) {
        return new Refused(setting + "=" + path + " " + why, cause);
    }

    private void check() throws IOException {
        if (Files.isDirectory(path)) {
            throw refused("is a directory", null);
        }
        if (!Files.getFileStore(path).supportsFileAttributeView("posix")) {
            return; // where modes mean nothing
        }
        Map<String, Object> is = Files.readAttributes(path, "unix:mode,uid");
        int mode = (Integer) is.get("mode") & 0777;
        int owner = (Integer) is.get("uid");
        Integer own = ownId();
        if (own != null && owner != own && owner != ROOT) {
            throw refused("belongs to another user (" + Files.getOwner(path) + "); run: chown " + user() + " " + path, null);
        }
        boolean handedByRoot = owner == ROOT && own != null && own != ROOT;
        if ((mode & (handedByRoot ? OTHERS_BUT_A_GROUP_THAT_READS : OTHERS)) != 0) {
            throw refused("is open to others (mode %04o, %s); run: chmod 600 %s".formatted(mode, letters(mode), path), null);
        }
    }

    private static String letters(int mode) {
        StringBuilder text = new StringBuilder();
        for (int bit = 8; bit >= 0; bit--) {
            text.append((mode & 1 << bit) == 0 ? '-' : "xwr".charAt(bit % 3));
        }
        return text.toString();
    }

    /** Null where the system does not tell. */
    private static Integer ownId() {
        try {
            return (Integer) Files.getAttribute(Path.of("/proc/self"), "unix:uid");
        } catch (IOException | RuntimeException error) {
            return null;
        }
    }

    private static String user() {
        return System.getProperty("user.name", "jenkins");
    }
}
