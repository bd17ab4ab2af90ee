package io.agentbroker.testing;

import java.io.File;
import java.lang.reflect.AnnotatedElement;
import java.lang.reflect.Constructor;
import java.lang.reflect.Member;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;

/** Prints each member of the double that the real Jenkins lacks: arguments are the double's classes and WEB-INF/lib. */
public final class Signatures {
    private static int compared;

    private Signatures() {}

    public static void main(String[] arguments) throws Exception {
        Path classes = Path.of(arguments[0]);
        List<URL> jars = new ArrayList<>();
        for (File jar : new File(arguments[1]).listFiles((folder, name) -> name.endsWith(".jar"))) {
            jars.add(jar.toURI().toURL());
        }
        ClassLoader platform = ClassLoader.getPlatformClassLoader();
        URLClassLoader real = new URLClassLoader(jars.toArray(new URL[0]), platform);
        List<URL> ours = new ArrayList<>(jars.stream().filter(jar -> jar.getPath().contains("xstream")).toList());
        ours.add(classes.toUri().toURL());
        URLClassLoader doubles = new URLClassLoader(ours.toArray(new URL[0]), platform);
        try (Stream<Path> files = Files.walk(classes)) {
            for (Path file : files.filter(path -> path.toString().endsWith(".class")).sorted().toList()) {
                String name = classes.relativize(file).toString().replace('/', '.').replace(".class", "");
                boolean anonymous = name.matches(".*\\$\\d.*");
                if (!anonymous && (name.startsWith("hudson.") || name.startsWith("jenkins."))) {
                    compare(doubles.loadClass(name), real.loadClass(name));
                }
            }
        }
        System.out.println("compared " + compared);
    }

    private static void compare(Class<?> ours, Class<?> real) {
        for (Method method : ours.getDeclaredMethods()) {
            if (isApi(method) && hierarchy(real).noneMatch(type -> Arrays.stream(type.getDeclaredMethods())
                    .anyMatch(candidate -> isSame(method, candidate)))) {
                System.out.println("missing " + method);
            }
        }
        for (Constructor<?> constructor : ours.getDeclaredConstructors()) {
            if (isApi(constructor) && !Modifier.isAbstract(ours.getModifiers()) && Arrays.stream(real.getDeclaredConstructors())
                    .noneMatch(candidate -> types(candidate.getParameterTypes()).equals(types(constructor.getParameterTypes())))) {
                System.out.println("missing " + constructor);
            }
        }
    }

    private static <T extends AnnotatedElement & Member> boolean isApi(T member) {
        boolean open = Modifier.isPublic(member.getModifiers()) || Modifier.isProtected(member.getModifiers());
        boolean ours = Arrays.stream(member.getAnnotations())
                .anyMatch(note -> note.annotationType().getSimpleName().equals("DoubleOnly"));
        boolean api = open && !ours && !member.isSynthetic() && !member.getName().startsWith("lambda$");
        compared += api ? 1 : 0;
        return api;
    }

    private static boolean isSame(Method ours, Method real) {
        return ours.getName().equals(real.getName())
                && Modifier.isStatic(ours.getModifiers()) == Modifier.isStatic(real.getModifiers())
                && types(ours.getParameterTypes()).equals(types(real.getParameterTypes()));
    }

    private static List<String> types(Class<?>[] types) {
        return Arrays.stream(types).map(Class::getName).toList();
    }

    private static Stream<Class<?>> hierarchy(Class<?> type) {
        if (type == null) {
            return Stream.empty();
        }
        Stream<Class<?>> interfaces = Arrays.stream(type.getInterfaces()).flatMap(Signatures::hierarchy);
        return Stream.concat(Stream.concat(Stream.of(type), interfaces), hierarchy(type.getSuperclass()));
    }
}
