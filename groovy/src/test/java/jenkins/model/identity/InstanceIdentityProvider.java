package jenkins.model.identity;

import java.security.interfaces.RSAPublicKey;

public abstract class InstanceIdentityProvider {
    public static final KeyTypes RSA = new KeyTypes();

    public static final class KeyTypes {
        private KeyTypes() {}

        public RSAPublicKey getPublicKey() {
            return null;
        }
    }
}
