/** Our files and a broker of another version: two minor versions apart they work together. */
class Versions {
    private static final int APART = 2

    /** One line for the admin; none when both are of one minor version. */
    static void tell(String ours, String theirs) {
        int apart = apart(ours, theirs)
        String text = "the files in Jenkins are of version ${ours}, the broker is ${theirs}"
        if (apart > APART) {
            Log.warning("${text}: so far apart they are not tried together; ${fix(ours, theirs)}")
        } else if (apart > 0) {
            Log.info("${text}: they work together; ${fix(ours, theirs)}")
        }
    }

    /** Minor versions between two; a number above all others when the major versions differ, 0 when one cannot be read. */
    static int apart(String ours, String theirs) {
        List<Integer> our = parts(ours)
        List<Integer> their = parts(theirs)
        if (our == null || their == null) {
            return 0
        }
        our[0] == their[0] ? Math.abs(our[1] - their[1]) : Integer.MAX_VALUE
    }

    /** Whether our files are older than the broker. */
    static boolean older(String ours, String theirs) {
        List<Integer> our = parts(ours)
        List<Integer> their = parts(theirs)
        our != null && their != null && (our[0] <=> their[0] ?: our[1] <=> their[1]) < 0
    }

    private static String fix(String ours, String theirs) {
        older(ours, theirs) ? 'run `agentbroker init jenkins` again and restart Jenkins' : 'upgrade the broker'
    }

    private static List<Integer> parts(String version) {
        def found = version =~ /^(\d{1,6})\.(\d{1,6})\b/
        found ? [found[0][1] as int, found[0][2] as int] : null
    }
}
