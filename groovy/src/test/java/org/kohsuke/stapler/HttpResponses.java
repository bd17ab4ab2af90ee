package org.kohsuke.stapler;

public abstract class HttpResponses {
    public static HttpRedirect redirectTo(String url) {
        return new HttpRedirect(url);
    }

    public static HttpResponseException errorWithoutStack(int code, String message) {
        return new HttpResponseException(message);
    }

    public static HttpResponseException notFound() {
        return new HttpResponseException("not found");
    }

    public static class HttpResponseException extends RuntimeException {
        HttpResponseException(String message) {
            super(message);
        }
    }
}
