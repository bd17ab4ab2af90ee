package org.kohsuke.stapler;

import java.io.IOException;
import java.io.OutputStream;

public interface StaplerResponse2 {
    void sendRedirect2(String url) throws IOException;

    void setContentType(String type);

    OutputStream getOutputStream() throws IOException;
}
