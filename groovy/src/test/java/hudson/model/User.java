package hudson.model;

public class User {
    public static User current() {
        return null;
    }

    public String getId() {
        return "";
    }
}
