import hudson.security.ACL
import hudson.security.ACLContext

/** Work that sees all of Jenkins: a bare thread has the sight of an anonymous visitor. */
class AsSystem {
    /** Does it on this thread, whose sight is its own again afterwards; what it throws is thrown on. */
    static void run(Closure work) {
        ACLContext system = ACL.as2(ACL.SYSTEM2)
        try {
            work.call()
        } finally {
            system.close()
        }
    }
}
