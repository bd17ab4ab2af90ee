package io.agentbroker.client;

import io.grpc.ChannelCredentials;
import io.grpc.TlsChannelCredentials;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.PrivateKey;
import java.security.Signature;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
import java.util.Collection;

/** The PEM files of TLS, by the names of their settings; empty for none. What is wrong with one is said with its name. */
record TlsFiles(String ca, String cert, String key) {
    private static final String BEGIN = "-----BEGIN PRIVATE KEY-----";
    private static final String END = "-----END PRIVATE KEY-----";

    ChannelCredentials credentials() {
        if (isSet(cert) != isSet(key)) {
            throw new IllegalArgumentException("cert_file and key_file belong together; "
                    + (isSet(cert) ? "key_file" : "cert_file") + " is not set");
        }
        try {
            TlsChannelCredentials.Builder credentials = TlsChannelCredentials.newBuilder();
            if (isSet(ca)) {
                certificates("ca_file", ca);
                credentials.trustManager(new ByteArrayInputStream(read("ca_file", ca)));
            }
            if (isSet(cert)) {
                Certificate own = certificates("cert_file", cert).iterator().next();
                checkPair(own);
                credentials.keyManager(
                        new ByteArrayInputStream(read("cert_file", cert)), new ByteArrayInputStream(keyBytes()));
            }
            return credentials.build();
        } catch (IOException error) { // of streams in memory
            throw new IllegalStateException(error);
        }
    }

    /** For people: whom we trust. */
    String caSetting() {
        return isSet(ca) ? "ca_file=" + ca : "the JVM's own authorities (ca_file is not set)";
    }

    /** For people: who we say that we are. */
    String certSetting() {
        return isSet(cert) ? "cert_file=" + cert : "none (cert_file and key_file are not set)";
    }

    private void checkPair(Certificate own) {
        PrivateKey secret = privateKey();
        try {
            String kind = secret.getAlgorithm().equals("EC") ? "SHA256withECDSA" : "SHA256withRSA";
            byte[] text = "agentbroker".getBytes(StandardCharsets.UTF_8);
            Signature signature = Signature.getInstance(kind);
            signature.initSign(secret);
            signature.update(text);
            byte[] signed = signature.sign();
            signature.initVerify(own.getPublicKey());
            signature.update(text);
            if (signature.verify(signed)) {
                return;
            }
        } catch (GeneralSecurityException error) {
            // kinds that differ are no pair either
        }
        throw new IllegalArgumentException("key_file=" + key + " is not the key of cert_file=" + cert);
    }

    private PrivateKey privateKey() {
        String text = new String(keyBytes(), StandardCharsets.ISO_8859_1);
        int from = text.indexOf(BEGIN);
        int to = text.indexOf(END);
        if (from >= 0 && to > from) {
            for (String kind : new String[] {"RSA", "EC"}) {
                try {
                    byte[] der = Base64.getMimeDecoder().decode(text.substring(from + BEGIN.length(), to));
                    return KeyFactory.getInstance(kind).generatePrivate(new PKCS8EncodedKeySpec(der));
                } catch (GeneralSecurityException | IllegalArgumentException error) {
                    // another kind, or none
                }
            }
        }
        throw new IllegalArgumentException("key_file=" + key + " is not an RSA or EC key in PEM without a password ("
                + BEGIN + "); openssl pkcs8 -topk8 -nocrypt makes one");
    }

    private byte[] keyBytes() {
        return new PrivateFile("key_file", Path.of(key)).bytes();
    }

    private static Collection<? extends Certificate> certificates(String setting, String file) {
        try {
            Collection<? extends Certificate> found = CertificateFactory.getInstance("X.509")
                    .generateCertificates(new ByteArrayInputStream(read(setting, file)));
            if (!found.isEmpty()) {
                return found;
            }
        } catch (GeneralSecurityException error) {
            // said below
        }
        throw new IllegalArgumentException(setting + "=" + file + " holds no certificate in PEM");
    }

    private static byte[] read(String setting, String file) {
        try {
            return Files.readAllBytes(Path.of(file));
        } catch (NoSuchFileException error) {
            throw new IllegalArgumentException(setting + "=" + file + " does not exist", error);
        } catch (IOException error) {
            throw new IllegalArgumentException(setting + "=" + file + " cannot be read: " + error.getMessage(), error);
        }
    }

    private static boolean isSet(String file) {
        return file != null && !file.isBlank();
    }
}
